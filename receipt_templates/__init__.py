"""Receipt templates by language and layout, and their renderers to text, ESC/POS and HTML."""
