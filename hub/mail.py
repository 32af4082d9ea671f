"""Notices by e-mail, where SMTP is configured. Each is tried until sent or a day old."""

import asyncio
import logging
import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from urllib.parse import unquote, urlsplit

from sqlmodel import select

from hub.control_context import Control
from hub.rounds import again
from hub.settings import PORTAL_PREFIX
from hub.store.tables import NoticeRow, PersonRow

log = logging.getLogger("perijove.mail")

EVERY_S = 5.0
GIVE_UP_AFTER = timedelta(days=1)
_TIMEOUT_S = 20
_NOT_THIS_ONE = (smtplib.SMTPRecipientsRefused, ValueError, IndexError)
"""An address that nobody can write to: it must not keep the others from their mail."""


class Mailer:
    """Sends what is due; does nothing where no server is configured."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def run(self) -> None:
        """Until cancelled."""
        if not self._control.settings.smtp_url:
            return
        await again(partial(asyncio.to_thread, self.send_due), EVERY_S, log, "mail-round-failed")

    def send_due(self) -> int:
        """Send every notice that is due; returns how many went out. A failure leaves the rest."""
        with self._control.store.read() as session:
            due = session.exec(
                select(NoticeRow, PersonRow)
                .where(NoticeRow.person_id == PersonRow.id)
                .where(NoticeRow.mail_due)
                .limit(100)
            ).all()
        sent = 0
        for notice, person in due:
            late = self._control.clock.now() - notice.at > GIVE_UP_AFTER
            if person.email and not late:
                try:
                    self._send(self._message(notice, person))
                except _NOT_THIS_ONE as error:
                    log.warning("mail-refused notice=%s why=%s", notice.id, type(error).__name__)
                except (OSError, smtplib.SMTPException) as error:
                    log.warning("mail-waits why=%s", type(error).__name__)
                    return sent
                else:
                    sent += 1
            self._done(notice.id)
        return sent

    def _message(self, notice: NoticeRow, person: PersonRow) -> EmailMessage:
        settings = self._control.settings
        message = EmailMessage()
        message["From"], message["To"] = settings.smtp_from, person.email
        message["Subject"] = f"Perijove: {notice.text.splitlines()[0][:120]}"
        page = f"{settings.url}{PORTAL_PREFIX}/workloads/{notice.workload_id or ''}"
        message.set_content(f"{notice.text}\n\n{page}\n")
        return message

    def _send(self, message: EmailMessage) -> None:
        where = urlsplit(self._control.settings.smtp_url)
        host, port = where.hostname or "localhost", where.port or 0
        trust = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_S, context=trust)
            if where.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=_TIMEOUT_S)
        ) as server:
            if where.username:
                if where.scheme == "smtp":
                    server.starttls(context=trust)
                server.login(unquote(where.username), unquote(where.password or ""))
            server.send_message(message)

    def _done(self, notice_id: str) -> None:
        with self._control.store.write() as session:
            row = session.get_one(NoticeRow, notice_id)
            row.mail_due = False
            session.add(row)
