"""The built-in methods: controls, methods on embeddings that need no model, and methods that ask one."""
