def test_the_device_that_asks_is_listed_as_current(pair, client_of):
    answer = client_of(pair).get("/api/sessions")
    assert answer.status_code == 200, answer.content
    assert [(row["id"], row["current"]) for row in answer.json()] == [(str(pair.session.pk), True)]
