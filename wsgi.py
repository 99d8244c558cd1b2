"""Where `flask` finds the application (it looks for a file of this name). The web process starts `app:create_app`."""

from app import create_command_line as create_app

__all__ = ["create_app"]
