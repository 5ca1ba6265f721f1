"""The page at which one shows a key: plain HTML, no script."""

from html import escape
from typing import Final

from dashboard.pages.page import PREFIX

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · livesegments</title>
<link rel="icon" href="{prefix}assets/icons/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="{prefix}assets/theme.css">
</head>
<body class="login-page">
<main class="login card">
<h1><span class="mark" aria-hidden="true"></span>livesegments</h1>
<p>Paste your key to see your customers' segments. Whoever runs livesegments gives it to you; it begins with
<code>lsk_</code>.</p>
<form method="post" action="{prefix}login">
<label for="key">Key</label>
<input id="key" name="key" type="password" required autocomplete="current-password" autofocus>
<input type="hidden" name="next" value="{wanted}">
{wrong}
<button class="button primary" type="submit">Log in</button>
</form>
</main>
</body>
</html>
"""


def page(wanted: str, wrong: str = "") -> str:
    """The page; what went wrong before, and where to go afterwards."""
    told = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return _PAGE.format(prefix=PREFIX, wanted=escape(wanted), wrong=told)
