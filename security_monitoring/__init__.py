"""What is going wrong: the security dashboard, the health report, and the figures behind them.

Draws what the apps bring (panels, figures, health checks) on the first page of the admin and tells
load balancers whether this server can serve. It does not yet detect or alert.
"""
