"""The commands, one module each: `livesegments NAME` runs `app` of the module NAME."""
