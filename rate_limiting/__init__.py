"""Rate limiting: how often one person, one address or one account may ask.

``django-ratelimit`` decides rates, windows and keys; a cache backend of our own counts every rate
of a check by one script in one round trip, exactly, across processes and machines. The same engine
serves a DRF throttle, a view decorator and a middleware.

It does not lock accounts (``accounts``), does not tell good clients from bad ones
(``security_monitoring``), and is no shield against floods that fill the line.
"""
