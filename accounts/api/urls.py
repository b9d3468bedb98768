"""Addresses, relative to ``api/auth/``.

Registering and verifying need fields of this app's own user model; a host with another one has
its own way of making accounts, and these doors are not there.
"""

from django.urls import path

from accounts.api import views
from accounts.user_model import missing_fields

app_name = "accounts"

urlpatterns = [
    path("login", views.LoginView.as_view(), name="login"),
    path("login/mfa", views.LoginStepView.as_view(), name="login-mfa"),
    path("unlock", views.UnlockView.as_view(), name="unlock"),
    path("me", views.MeView.as_view(), name="me"),
    path("login-history", views.LoginHistoryView.as_view(), name="login-history"),
    path("trusted-devices", views.TrustedDevicesView.as_view(), name="trusted-devices"),
    path(
        "trusted-devices/<uuid:device_id>",
        views.TrustedDeviceView.as_view(),
        name="trusted-device",
    ),
    path("password/change", views.ChangeView.as_view(), name="password-change"),
    path("password/generate", views.PasswordGenerateView.as_view(), name="password-generate"),
    path("password/strength", views.PasswordStrengthView.as_view(), name="password-strength"),
]
if not missing_fields():
    urlpatterns += [
        path("register", views.RegisterView.as_view(), name="register"),
        path("verify-email", views.VerifyEmailView.as_view(), name="verify-email"),
        path("verify-email/resend", views.ResendView.as_view(), name="resend"),
        path("password/reset", views.ResetView.as_view(), name="password-reset"),
        path(
            "password/reset/confirm",
            views.ResetConfirmView.as_view(),
            name="password-reset-confirm",
        ),
    ]
