"""A host's own URLs: the admin, so that what an app registers there is checked too."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
