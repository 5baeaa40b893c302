# shellcheck shell=bash
# Mails that several systems use: a phishing message and the report of it.

phish_eml() { # recipient
  cat <<EOF
Return-Path: <billing@invoice-update.example>
Received: from mail.invoice-update.example (mail.invoice-update.example [198.51.100.66]) by mx.lab.test; Mon, 05 Jan 2026 09:12:44 +0000
From: "Accounts Payable" <billing@invoice-update.example>
Reply-To: pay@invoice-update.example
To: $1@lab.test
Subject: Overdue invoice 88213
Date: Mon, 05 Jan 2026 09:12:40 +0000
Message-ID: <phish-88213@invoice-update.example>
Authentication-Results: mx.lab.test; spf=fail smtp.mailfrom=invoice-update.example; dkim=none; dmarc=fail
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>Your invoice is overdue. <a href="http://login.invoice-update.example/verify?id=88213">Open it here</a>.</p>
EOF
}

report_eml() { # reporter: mails the phishing message to the SOC as an attachment
  cat <<EOF
From: $1@lab.test
To: soc@lab.test
Subject: [phish report] Overdue invoice 88213
Date: Mon, 05 Jan 2026 09:20:00 +0000
Message-ID: <report-1-$1@lab.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="lab-report"

--lab-report
Content-Type: text/plain; charset=utf-8

This looks wrong, please check.
--lab-report
Content-Type: message/rfc822
Content-Disposition: attachment; filename="reported.eml"

$(phish_eml "$1")
--lab-report--
EOF
}
