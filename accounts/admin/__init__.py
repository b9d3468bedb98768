"""Where staff look after accounts.

The admin's login form is replaced by one that runs the steps of a sign-in, and its form for one's
own password by one that counts guesses and ends other sessions, and its admin of groups by one that
leaves them to who may grant, unless the host has put its own there.
"""

from django.contrib import admin
from django.contrib.auth import get_user_model

from accounts.admin.devices import TrustedDeviceAdmin
from accounts.admin.guard import use_guarded_groups
from accounts.admin.lockout_buckets import LockoutBucketAdmin, register_axes_attempts
from accounts.admin.next_page import use_next_page
from accounts.admin.own_password import use_own_form
from accounts.admin.users import UserAdmin
from accounts.forms import SignInForm
from accounts.models import LockoutBucket, TrustedDevice, User

admin.site.register(LockoutBucket, LockoutBucketAdmin)
admin.site.register(TrustedDevice, TrustedDeviceAdmin)
register_axes_attempts()
if get_user_model() is User:
    admin.site.register(User, UserAdmin)
if admin.site.login_form is None:
    admin.site.login_form = SignInForm
    admin.site.login_template = admin.site.login_template or "accounts/sign_in.html"
use_next_page(admin.site)
use_own_form(admin.site)
use_guarded_groups(admin.site)
