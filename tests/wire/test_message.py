"""What a message is: data, and the names it reads from its header."""

from __future__ import annotations

import pytest

from wrapperkernel.wire import PROTOCOL_VERSION, Message

HEADER = {"msg_id": "a_1", "session": "a", "msg_type": "status"}


def test_the_header_names_the_message() -> None:
    message = Message(HEADER, {}, {}, {})
    assert (message.msg_id, message.session, message.msg_type) == ("a_1", "a", "status")


def test_a_message_has_no_route_and_no_buffers_unless_given() -> None:
    message = Message(HEADER, {}, {}, {})
    assert message.identities == ()
    assert message.buffers == ()


def test_a_message_does_not_change() -> None:
    message = Message(HEADER, {}, {}, {})
    with pytest.raises(AttributeError):
        message.content = {}  # type: ignore[misc]


def test_the_version_is_the_one_of_all_places() -> None:
    assert PROTOCOL_VERSION == "5.5"
