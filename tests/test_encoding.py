from __future__ import annotations

import pytest

from detector.encoding import decode

RUSSIAN = "Поддержите нас"


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("déjà".encode(), None, "déjà"),
        ("déjà".encode("windows-1252"), None, "déjà"),
        (f'<meta charset="windows-1251">{RUSSIAN}'.encode("windows-1251"), None, RUSSIAN),
        (
            f"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>{RUSSIAN}".encode("koi8-r"),
            None,
            RUSSIAN,
        ),
        ('<meta charset="gb2312">漢字'.encode("gbk"), None, "漢字"),
        ('<meta charset="shift_jis">寄付'.encode("shift_jis"), None, "寄付"),
        ("\ufeffдар".encode("utf-16-le"), None, "дар"),
        (b"\xef\xbb\xbf<meta charset=latin1>\xc3\xa9", None, "é"),
        (RUSSIAN.encode("windows-1251"), "windows-1251", RUSSIAN),
        (f"<meta charset=utf-8>{RUSSIAN}".encode("koi8-r"), "koi8-r", RUSSIAN),
        ("<meta charset=no-such-label>é".encode(), None, "é"),
        ("é".encode(), "no-such-label", "é"),
        ("<meta charset=utf-16>é".encode(), None, "é"),
        ("<!-- <meta charset=koi8-r> -->é".encode(), None, "é"),
        ("<meta charset=iso-8859-1>“€”".encode("windows-1252"), None, "“€”"),
        (b" " * 1100 + f"<meta charset=koi8-r>{RUSSIAN}".encode(), None, RUSSIAN),
    ],
)
def test_encoding_is_found_as_a_browser_does(data, charset, text):
    assert decode(data, charset).endswith(text)


def test_bytes_that_are_invalid_in_the_declared_encoding_are_replaced():
    assert decode(b"<meta charset=utf-8>caf\xe9 au lait").endswith("caf\ufffd au lait")
