"""What is shown to others without what may be a secret."""

from __future__ import annotations

from typing import Any

import pytest

from radio.secrecy import is_secret, plain, plain_text, plain_words, secrets_in

SECRET = """
api_key apikey apiKey api-key api_keys x-api-key X-API-Key OPENAI_API_KEY wandb_api_key
access_key accessKey access-key AWS_SECRET_ACCESS_KEY private_key privateKey ssh_key auth_key
secret client_secret clientSecret secret_key password passwd db_password passphrase pwd pass
credential credentials token hf_token HF_TOKEN access_token accessToken auth_tokens api_tokens
bearer bearer_token auth basic_auth Authorization proxy-authorization authorisation cookie
headers.Authorization data.init_args.api_key.0 jwt
""".split()

NO_SECRET = """
max_tokens tokenizer query_tokens tokens tokens_per_minute tokenize token_count author authors
authority query_token pad_token eos_token pad_token_id mask_token first_token price_per_token
key keys key_name keyword cache_key sort_key primary_key public_key monkey passages passage pass_k
bypass compass secretary_name api_key_env api_key_name password_file token_type base_url model name
""".split()


@pytest.mark.parametrize("key", SECRET)
def test_the_name_of_a_secret(key: str) -> None:
    assert is_secret(key)
    assert plain({key: "S"}) == {key: "(left out)"}
    assert plain_words([f"--x.{key}", "S", f"--{key}=S"]) == [
        f"--x.{key}",
        "(left out)",
        f"--{key}=(left out)",
    ]
    assert list(secrets_in({"a": {key: "S"}})) == [f"a.{key}"]


@pytest.mark.parametrize("key", NO_SECRET)
def test_the_name_of_something_else(key: str) -> None:
    assert not is_secret(key)
    assert plain({key: "S"}) == {key: "S"}
    assert list(secrets_in({key: "S"})) == []


@pytest.mark.parametrize("value", ["S", 5, 0.5, ["Bearer S"], [{"a": "S"}], {"user": "S"}, ("S",)])
def test_whatever_stands_under_such_a_name_is_left_out(value: Any) -> None:
    config = {"headers": [{"Authorization": value, "Accept": "text"}], "n": 5}
    left = {"headers": [{"Authorization": "(left out)", "Accept": "text"}], "n": 5}
    assert plain(config) == left
    assert plain(left) == left


def test_what_says_nothing_is_shown() -> None:
    config = {"api_key": None, "token": True, "max_tokens": 5, "path": ["a", None]}
    assert plain(config) == config
    assert list(secrets_in(config)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:pw@host/x", "https://(left out)@host/x"),
        ("https://me:p@w@host/x", "https://(left out)@host/x"),
        ("at 'http://t@h:8'; ftp://a:b@c", "at 'http://(left out)@h:8'; ftp://(left out)@c"),
        ("postgresql+psycopg2://me:pw@db/x", "postgresql+psycopg2://(left out)@db/x"),
        ("https://h/v1?api_key=S&n=2", "https://h/v1?api_key=(left out)&n=2"),
        ("https://h/v1?n=2&key=S#token=T", "https://h/v1?n=2&key=(left out)#token=(left out)"),
        ("s3://b?X-Amz-Signature=S&sig=T", "s3://b?X-Amz-Signature=(left out)&sig=(left out)"),
        ("host=db password=S dbname=x", "host=db password=(left out) dbname=x"),
        ("Authorization: Bearer S, Accept: x", "Authorization: (left out), Accept: x"),
        ("{'api_key': 'S', 'n': 2}", "{'api_key': '(left out)', 'n': 2}"),
        ('{"Authorization": ["Bearer S"]}', '{"Authorization": "(left out)"}'),
    ],
)
def test_secrets_in_a_text(text: str, expected: str) -> None:
    assert plain_text(text) == expected
    assert plain_text(expected) == expected
    assert plain({"a": [text]}) == {"a": [expected]}
    assert list(secrets_in({"a": [text]})) == ["a.0"]


@pytest.mark.parametrize(
    "text",
    [
        "https://host/@user/x?page=a@b",
        "https://h/v1?keyword=x&max_tokens=5",
        "key=5 lr=1e-4 tokens=7",
        "{'max_tokens': 5, 'token': None}",
        "me@host.org",
        "C:\\x: expected a number = 5",
        "found 'x', expected a token: a word",
    ],
)
def test_a_text_without_secrets_stays(text: str) -> None:
    assert plain_text(text) == text


def test_a_command_line_is_shown_without_its_secrets() -> None:
    words = ["radio", "fit", "--a.api_key", "k", "--a.hf_token=t", "--max_tokens", "5"]
    words += ["--url=http://me:pw@host/x", "--url", "https://me:pw@host", "--flag", "--b"]
    words += ["{api_key: k, model: m}", "--c", "{model: m}", "[a, b]", "--lr", "-1e-4"]
    words += ["--headers.Authorization", "[Bearer k]", "--url=https://h/v1?key=k"]
    assert plain_words(words) == [
        *("radio", "fit", "--a.api_key", "(left out)", "--a.hf_token=(left out)"),
        *("--max_tokens", "5", "--url=http://(left out)@host/x"),
        *("--url", "https://(left out)@host", "--flag", "--b"),
        *('{"api_key": "(left out)", "model": "m"}', "--c", "{model: m}", "[a, b]"),
        *("--lr", "-1e-4", "--headers.Authorization", "(left out)"),
        "--url=https://h/v1?key=(left out)",
    ]
