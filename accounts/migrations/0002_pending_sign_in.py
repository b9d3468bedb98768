import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PendingSignIn',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('state', models.CharField(max_length=128)),
                ('origin', models.CharField(max_length=64)),
                ('bucket', models.CharField(db_index=True, max_length=120)),
                ('reservations', models.JSONField()),
                ('amr', models.JSONField()),
                ('passed', models.JSONField()),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'half-done sign-in',
            },
        ),
    ]
