from __future__ import annotations

import pytest

from xds_server.policy import Address, parse_address
from xds_server.policy.kinds.address import AddressError


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("10.0.0.1:8000", Address("http", "10.0.0.1", 8000, True), "http://10.0.0.1:8000"),
        ("10.0.0.1:65535", Address("http", "10.0.0.1", 65535, True), "http://10.0.0.1:65535"),
        ("168.255.0.1:80", Address("http", "168.255.0.1", 80, True), "http://168.255.0.1:80"),
        ("models.internal:80", Address("http", "models.internal", 80, False), "http://models.internal:80"),
        ("model_server:80", Address("http", "model_server", 80, False), "http://model_server:80"),
        ("Models.Internal.:80", Address("http", "models.internal", 80, False), "http://models.internal:80"),
        ("http://a.example.com", Address("http", "a.example.com", 80, False), "http://a.example.com:80"),
        ("https://a.example.com", Address("https", "a.example.com", 443, False), "https://a.example.com:443"),
        (
            "HTTPS://a.example.com:8443/",
            Address("https", "a.example.com", 8443, False),
            "https://a.example.com:8443",
        ),
        ("[::1]:80", Address("http", "::1", 80, True), "http://[::1]:80"),
        ("https://[2001:DB8::0:1]", Address("https", "2001:db8::1", 443, True), "https://[2001:db8::1]:443"),
        ("127.0.0.1:80", Address("http", "127.0.0.1", 80, True), "http://127.0.0.1:80"),
        ("[64:ff9b::10.0.0.1]:80", Address("http", "64:ff9b::a00:1", 80, True), "http://[64:ff9b::a00:1]:80"),
        ("[fd00:ec3::254]:80", Address("http", "fd00:ec3::254", 80, True), "http://[fd00:ec3::254]:80"),
        ("localhost:1", Address("http", "localhost", 1, False), "http://localhost:1"),
        ("1.example:80", Address("http", "1.example", 80, False), "http://1.example:80"),
    ],
)
def test_addresses(text: str, address: Address, shown: str) -> None:
    assert parse_address(text) == address
    assert str(address) == shown
    assert parse_address(shown) == address
    assert address.tls == shown.startswith("https")


_WRONG = """
: :80 a 10.0.0.1 a: a:b a:-1 a:080 a:1e3 a:99999 a:٣ http:// https://:443
a..b:80 .a:80 -a:80 a-:80 a%41:80 ä:80 1.2.3:80 1.2.3.4.5:80 256.0.0.1:80 01.2.3.4:80 10.0.0.01:80
0x7f000001:80 2130706433:80 0.0.0.0:80 169.254.169.254:80 224.0.0.1:80 255.255.255.255:80 [::]:80 [ff02::1]:80
[fe80::1]:80 [::ffff:169.254.169.254]:80 [::1%lo]:80 [127.0.0.1]:80 ::1:80 [::1 [::1]
http://a/b http://a?b http://a#b http://a// http://u:p@a u@a:80 ftp://a //a:80 http:a javascript:alert(1)
unix:///tmp/x http://http://a
[64:ff9b::169.254.169.254]:80 [64:ff9b:1::a9fe:a9fe]:80 [::169.254.169.254]:80 [2002:a9fe:a9fe::1]:80
[2001:0:4136:e378:8000:63bf:5601:5601]:80 [64:ff9b::]:80 [64:ff9b::224.0.0.1]:80
[fd00:ec2::254]:80 [fd00:ec2::23]:80 [fd20:ce::254]:80 168.63.129.16:80 100.100.100.200:80
[::ffff:168.63.129.16]:80 [64:ff9b::100.100.100.200]:80
"""


@pytest.mark.parametrize(
    "text", [*_WRONG.split(), "", "a b:80", "a\n:80", "a:80\n", "10.0.0.1:80\n", "a:80 ", "a" * 64 + ":80"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert str(caught.value).startswith("must ")
    assert caught.value.hint
