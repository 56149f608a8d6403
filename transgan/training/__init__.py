"""Lightning modules. They import losses, penalties, augmentation, ema and schedules, and never a network."""
