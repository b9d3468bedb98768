"""The peer's two views."""

from django.contrib.auth import get_user_model
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenRefreshView


class MeSerializer(serializers.ModelSerializer):
    class Meta:
        model = get_user_model()
        fields = ("id", "email", "first_name", "is_staff", "date_joined")


class Me(APIView):
    def get(self, request):
        return Response(MeSerializer(request.user).data)


urlpatterns = [
    path("api/auth/me", Me.as_view()),
    path("api/auth/refresh", TokenRefreshView.as_view()),
]
