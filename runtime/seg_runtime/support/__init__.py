"""What everything else stands on: errors, atomic writes, optional packages."""
