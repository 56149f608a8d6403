"""One thin file per command: `main(config, arguments) -> exit code`."""
