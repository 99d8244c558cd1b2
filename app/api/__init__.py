"""The JSON API under /api/v1. Every route knows one shop: the one in the caller's session token."""

from app.api import feeds, issues, lookups, openapi, shop_settings
from app.api.answers import as_json, dump
from app.api.entrance import blueprint

__all__ = ["as_json", "blueprint", "dump", "feeds", "issues", "lookups", "openapi", "shop_settings"]
