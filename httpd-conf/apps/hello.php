<?php
# PHP, in httpd or behind FastCGI: what the session says is in $_SERVER.

# A POST is the button. The session changes before this answer reaches the browser.
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    header('X-Session-Update: terms=accepted');
    header('Location: ' . $_SERVER['SCRIPT_NAME'], true, 303);
    exit;
}

function says(string $name): string
{
    return htmlspecialchars($_SERVER["SESSION_$name"] ?? '');
}

header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<title>Hello</title>
<h1>Hello, <?= says('USER') ?></h1>
<p>Grants: <?= says('GRANTS') ?>. Role: <?= says('ROLE') ?>.</p>
<?php if (says('TERMS') === 'accepted') { ?>
<p>You accepted the terms.</p>
<?php } else { ?>
<form method="post"><button>Accept the terms</button></form>
<?php } ?>
