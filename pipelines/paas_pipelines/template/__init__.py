"""Scripts as templates, with the semantics of Go's text/template as far as pipelines need them."""
