import accounts.fields
import accounts.models.user
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        # With a user model of the host's own, its table must be there before what points to it.
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='User',
            fields=[
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('email', accounts.fields.EmailAddressField(error_messages={'unique': 'There is an account with this address already.'}, max_length=254, unique=True, validators=[accounts.models.user.validate_printable], verbose_name='e-mail address')),
                ('name', models.CharField(blank=True, max_length=150, validators=[accounts.models.user.validate_printable])),
                ('email_verified_at', models.DateTimeField(blank=True, null=True, verbose_name='address verified')),
                ('is_staff', models.BooleanField(default=False, help_text='May sign in to the administration.', verbose_name='staff')),
                ('is_active', models.BooleanField(default=True, help_text='Turn off to deactivate, instead of deleting.', verbose_name='active')),
                ('joined_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='joined')),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': 'user',
                'swappable': 'AUTH_USER_MODEL',
            },
        ),
        migrations.CreateModel(
            name='LockoutBucket',
            fields=[
                ('key', models.CharField(max_length=120, primary_key=True, serialize=False)),
                ('places', models.PositiveIntegerField()),
                ('taken', models.PositiveIntegerField()),
                ('window_started_at', models.DateTimeField()),
                ('locked_until', models.DateTimeField(blank=True, null=True)),
                ('locks', models.PositiveIntegerField()),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'lockout bucket',
            },
        ),
        migrations.CreateModel(
            name='MailedCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('verify_email', 'verify the address'), ('reset_password', 'choose a new password')], max_length=20)),
                ('digest', models.CharField(max_length=64)),
                ('tries', models.PositiveSmallIntegerField(default=0)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='mailed_codes', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('email'), name='accounts_user_one_per_address', violation_error_message='There is an account with this address already.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('email', ''), _negated=True), name='accounts_user_has_address'),
        ),
        migrations.AddIndex(
            model_name='lockoutbucket',
            index=models.Index(condition=models.Q(('locked_until__isnull', False)), fields=['locked_until'], name='accounts_locked_until'),
        ),
        migrations.AddIndex(
            model_name='lockoutbucket',
            index=models.Index(fields=['window_started_at'], name='accounts_window_started_at'),
        ),
        migrations.AddConstraint(
            model_name='mailedcode',
            constraint=models.UniqueConstraint(fields=('user', 'purpose'), name='accounts_one_live_code'),
        ),
    ]
