"""What WeChat tells the message server of an official account, as tests need it."""

from datetime import timedelta
from hashlib import sha1

from channels.provider import Callback
from support.channel_contract import NOW
from support.push_servers import WECHAT_TOKEN

OPEN_ID = "oABCDEFG-hijklmn"


def signature_of(*parts: str) -> str:
    """As WeChat signs: the parts in order, joined and hashed."""
    return sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - WeChat's own scheme


def signed(document: bytes, *, by: str = WECHAT_TOKEN, late: timedelta = timedelta(0)) -> Callback:
    """A callback of this document, signed in plain mode so long ago."""
    timestamp = str(int((NOW - late).timestamp()))
    signature = signature_of(by, timestamp, "n1")
    url = f"https://bank.example/wechat?signature={signature}&timestamp={timestamp}&nonce=n1"
    return Callback(url, {}, document, NOW)


def event(name: str, more: str = "") -> bytes:
    """An event of a follower."""
    return f"""<xml><ToUserName><![CDATA[gh_1]]></ToUserName>
<FromUserName><![CDATA[{OPEN_ID}]]></FromUserName><CreateTime>1777791000</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{name}]]></Event>
{more}</xml>""".encode()


def finished(status: str, number: int = 1000) -> bytes:
    """What became of the template message of this number."""
    return event("TEMPLATESENDJOBFINISH", f"<MsgID>{number}</MsgID><Status><![CDATA[{status}]]></Status>")
