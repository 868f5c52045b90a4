"""How people log in: at an OpenID provider or at GitHub, by the browser (automation.md §9)."""
