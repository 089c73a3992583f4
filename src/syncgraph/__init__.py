"""One GraphQL endpoint over every platform that moves a company's data."""
