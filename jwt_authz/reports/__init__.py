"""Reports: what guards what, who may call it and what a change gives, as values and as pages."""
