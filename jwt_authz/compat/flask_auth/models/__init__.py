"""Ready-made users; Google App Engine's is left out."""
