"""Plugins that live inside other systems."""
