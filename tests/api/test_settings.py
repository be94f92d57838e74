"""Settings are checked once, and the token is never shown."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.errors import SettingsError
from intercom_bulk.settings import Settings, Token

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "dG9rOmNhbmFyeV9jYW5hcnlfY2FuYXJ5"


def build(**env: str) -> Settings:
    return Settings.build(env={"INTERCOM_ACCESS_TOKEN": TOKEN, **env})


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "No access token: set INTERCOM_ACCESS_TOKEN"),
        ("  ", "No access token"),
        ("Bearer abcdefghij", "starts with 'Bearer '"),
        ("abc def ghi", "malformed"),
        ("abcdefghij\n", "malformed"),
        ("short", "malformed"),
    ],
)
def test_a_token_that_cannot_be_one_is_refused(token: str | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        Settings.build(access_token=token, env={})
    assert token is None or not token.strip() or token.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us", "https://api.intercom.io"),
        ("EU", "https://api.eu.intercom.io"),
        ("au", "https://api.au.intercom.io"),
    ],
)
def test_each_region_has_its_host(region: str, url: str) -> None:
    assert build(INTERCOM_REGION=region).base_url == url


def test_an_unknown_region_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="Unknown region 'mars': use one of us, eu, au"):
        build(INTERCOM_REGION="mars")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost:1/x", "http://[::1]:9", "https://proxy.example/api/"]
)
def test_https_anywhere_and_http_to_this_machine(url: str) -> None:
    assert build(INTERCOM_BASE_URL=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.intercom.io",
        "http://10.0.0.1",
        "ftp://x.example",
        "https://u:p@x.example",
        "https://x.example/?a=b",
        "//x",
    ],
)
def test_other_base_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="base URL"):
        build(INTERCOM_BASE_URL=url)


def test_a_password_in_a_refused_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        build(INTERCOM_BASE_URL="https://user:hunter22@x.example")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("version", ["2.16", "2.11", "Preview"])
def test_the_api_version_can_be_chosen(version: str) -> None:
    assert build(INTERCOM_API_VERSION=version).api_version == version


def test_the_api_version_is_pinned_and_checked() -> None:
    assert build().api_version == "2.16"
    with pytest.raises(SettingsError, match="INTERCOM_API_VERSION"):
        build(INTERCOM_API_VERSION="latest")


def test_a_malformed_admin_id_is_refused() -> None:
    with pytest.raises(SettingsError, match="INTERCOM_ADMIN_ID must be a number"):
        build(INTERCOM_ADMIN_ID="ann@example.com")


def test_the_token_is_masked_where_it_is_shown_and_whole_where_it_is_used() -> None:
    settings = build()
    assert TOKEN not in repr(settings)
    assert TOKEN not in f"{settings!r} {settings.access_token!r}"
    assert f"Bearer {settings.access_token}" == f"Bearer {TOKEN}"


def test_the_token_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Token(TOKEN))


def test_dotenv_is_read_from_the_working_directory_and_the_environment_beats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / ".env").write_text("INTERCOM_REGION=au\n")
    file = inner / ".env"
    file.write_text(f"INTERCOM_ACCESS_TOKEN={TOKEN}\nINTERCOM_ADMIN_ID=1\n")
    file.chmod(0o600)
    for name in ("INTERCOM_ACCESS_TOKEN", "INTERCOM_REGION", "INTERCOM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INTERCOM_ADMIN_ID", "2")
    monkeypatch.chdir(inner)
    settings = Settings.from_env()
    assert (settings.access_token, settings.admin_id) == (TOKEN, "2")
    assert settings.base_url == "https://api.intercom.io", "a parent's .env is somebody else's"
    assert not caplog.records
    file.chmod(0o644)
    Settings.from_env()
    assert "chmod 600" in caplog.text


def test_a_proxy_is_used_unless_the_host_is_exempt() -> None:
    assert build(HTTPS_PROXY="http://proxy.example:3128").proxies == {"https": "http://proxy.example:3128"}
    assert build(HTTPS_PROXY="http://proxy.example:3128", NO_PROXY="intercom.io").proxies == {}
    assert build(HTTP_PROXY="http://proxy.example:3128", INTERCOM_BASE_URL="http://127.0.0.1:1").proxies == {}
