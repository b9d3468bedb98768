"""The client's address, from honest and hostile headers alike."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.client_ip import bucket, client_ip, parse

PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("  203.0.113.9 ", "203.0.113.9"),
    ],
)
def test_an_address_is_read_in_every_form_a_proxy_writes(text, address):
    assert str(parse(text)) == address


@pytest.mark.parametrize(
    "text", ["", " ", "unknown", "1.2.3", "[", "]:80", "1.2.3.4:5:6", "9" * 5000, "\x00", "_hidden"]
)
def test_what_is_no_address_is_none(text):
    assert parse(text) is None


@given(st.text(max_size=80))
def test_parsing_never_raises_and_what_it_reads_is_canonical(text):
    address = parse(text)
    assert address is None or ipaddress.ip_address(str(address)) == address


def test_without_trusted_proxies_the_header_is_ignored():
    meta = {"REMOTE_ADDR": "203.0.113.9", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}
    assert client_ip(meta) == "203.0.113.9"


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("10.1.1.1", "198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.1.1.1", "6.6.6.6, 198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "garbage", "10.1.1.1"),
        ("10.1.1.1", "6.6.6.6, garbage, 10.2.2.2", "10.2.2.2"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("203.0.113.9", "6.6.6.6", "203.0.113.9"),
        ("::ffff:10.1.1.1", "198.51.100.1:5555", "198.51.100.1"),
        ("2001:db8:ffff::1", "2001:db8::5", "2001:db8::5"),
    ],
)
def test_the_first_untrusted_hop_from_the_right_is_the_client(
    settings, remote, forwarded, expected
):
    settings.GARRISON_TRUSTED_PROXIES = PROXIES
    assert client_ip({"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}) == expected


def test_a_unix_socket_has_no_address():
    assert client_ip({"REMOTE_ADDR": ""}) is None


def test_a_chain_of_ten_thousand_hops_is_cut_short(settings):
    settings.GARRISON_TRUSTED_PROXIES = PROXIES
    forwarded = "6.6.6.6, " + ", ".join(["10.9.9.9"] * 10_000)
    assert client_ip({"REMOTE_ADDR": "10.1.1.1", "HTTP_X_FORWARDED_FOR": forwarded}) == "10.9.9.9"


def test_ipv4_is_counted_whole_and_ipv6_by_its_64():
    assert bucket("203.0.113.9") == "203.0.113.9"
    assert bucket("2001:db8:1:2:3::4") == bucket("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert bucket("::ffff:203.0.113.9") == "203.0.113.9"
    assert bucket("2001:db8:1:3::1") != bucket("2001:db8:1:2::1")


def test_unknown_addresses_share_one_bucket():
    assert bucket(None) == bucket("") == bucket("nonsense") == "unknown"
