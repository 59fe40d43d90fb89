"""Snapshots of the state in local files: a restart reads only the end of the changelogs."""
