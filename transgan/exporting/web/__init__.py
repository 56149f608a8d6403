"""A page that shows a generator's images in any browser, without a server or a network."""
