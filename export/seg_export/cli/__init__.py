"""The commands `seg-export` and `seg-edge tune`."""
