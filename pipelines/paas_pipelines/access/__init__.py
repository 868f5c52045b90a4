"""Who may do what: identities, statements, and what follows from them; pure (spec automation.md §9)."""
