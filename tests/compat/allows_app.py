"""A small forum of Flask-Allows, from whose imports one line was changed."""

from operator import xor

from flask import Blueprint, Flask, abort, flash, g, redirect, request, url_for
from flask.views import MethodView, View

import jwt_authz.compat.flask_allows as flask_allows

allows = flask_allows.Allows()

USERS = {
    "ann": {"level": "admin", "permissions": {"view_hidden_post", "view_admin_panel"}},
    "mod": {"level": "moderator", "permissions": {"view_hidden_post"}},
    "bob": {"level": "user", "permissions": set()},
}
HIDDEN_POSTS = {13}


class User:
    def __init__(self, name, level="guest", permissions=()):
        self.name = name
        self.level = level
        self.permissions = permissions


GUEST = User("guest")


@allows.identity_loader
def load_user():
    return g.user


def is_logged_in(user):
    return user.level != "guest"


def is_admin(user):
    return user.level == "admin"


def is_moderator(user):
    return user.level == "moderator"


def is_staff(user, request):
    return user.level in ("admin", "moderator") and "X-User" in request.headers


class Has(flask_allows.Requirement):
    def __init__(self, permission):
        self.permission = permission

    def fulfill(self, user):
        return self.permission in user.permissions

    def __eq__(self, other):
        return isinstance(other, Has) and self.permission == other.permission

    def __hash__(self):
        return hash(self.permission)


class AllowedToViewPost(flask_allows.Requirement):
    def fulfill(self, user):
        post_id = request.view_args.get("post_id")
        if post_id > 100:
            abort(404)
        return post_id not in HIDDEN_POSTS or "view_hidden_post" in user.permissions


class NotYourDay(Exception):
    def __init__(self):
        super().__init__("I'm sorry Dave, I'm afraid I can't do that")


def flash_and_redirect(message, level, endpoint):
    def on_fail(*args, **kwargs):
        flash(message, level)
        return redirect(url_for(endpoint))

    return on_fail


def say_no(*args, **kwargs):
    return "no post {post_id} for you".format(**kwargs), 403


forum = Blueprint("forum", __name__)


@forum.route("/")
def index():
    panel = flask_allows.Permission(
        flask_allows.Or(is_admin, flask_allows.And(is_moderator, Has("view_admin_panel")))
    )
    return "panel" if panel else "no panel"


@forum.route("/staff-only")
@allows.requires(is_staff)
def staff_only():
    return "Welcome to the staff lounge"


@forum.route("/login")
@flask_allows.requires(flask_allows.Not(is_logged_in), on_fail="You are logged in already")
def login():
    return "Log in, please"


@forum.route("/posts/<int:post_id>")
@flask_allows.requires(AllowedToViewPost(), on_fail=say_no)
def post(post_id):
    return f"post {post_id}"


@forum.route("/odd")
@flask_allows.requires(flask_allows.C(is_moderator, Has("view_admin_panel"), op=xor))
def odd():
    return "one of the two"


@forum.route("/even")
@flask_allows.requires(~flask_allows.C(is_logged_in) | flask_allows.C(is_admin), throws=NotYourDay)
def even():
    return "a guest or an admin"


@forum.route("/members")
def members():
    with flask_allows.Permission(is_logged_in, throws=NotYourDay()):
        return "members"


class Topic(MethodView):
    def get(self, topic_id):
        return f"topic {topic_id}"

    @flask_allows.requires(is_logged_in)
    def post(self, topic_id):
        return f"answered to {topic_id}"


class Queue(View):
    decorators = [flask_allows.requires(Has("view_hidden_post"))]  # noqa: RUF012

    def dispatch_request(self):
        return "queue"


forum.add_url_rule("/topics/<int:topic_id>", view_func=Topic.as_view("topic"))
forum.add_url_rule("/queue", view_func=Queue.as_view("queue"))

admin = Blueprint("admin", __name__)
admin.before_request(
    flask_allows.guard_entire(
        [is_logged_in],
        on_fail=flash_and_redirect("Please log in first", "warning", "forum.login"),
    )
)
admin.before_request(
    flask_allows.guard_entire(
        [is_admin],
        on_fail=flash_and_redirect("You are not an admin", "danger", "forum.index"),
    )
)


@admin.route("/")
def admin_index():
    return "Welcome to the super secret club"


@admin.route("/help")
@flask_allows.exempt_from_requirements
def admin_help():
    return "Ask an admin"


class Status(View):
    decorators = [flask_allows.exempt_from_requirements]  # noqa: RUF012

    def dispatch_request(self):
        return "up"


admin.add_url_rule("/status", view_func=Status.as_view("status"))


@admin.route("/as/<name>")
def as_another(name):
    other = User(name, **USERS[name])
    return "yes" if flask_allows.Permission(is_admin, identity=other) else "no"


def set_up_request():
    name = request.headers.get("X-User")
    g.user = User(name, **USERS[name]) if name in USERS else GUEST
    if request.args.get("holiday"):
        flask_allows.current_overrides.add(Has("view_hidden_post"))
    if request.args.get("siege"):
        flask_allows.current_additions.add(is_admin)


@forum.route("/preview")
def preview():
    override = flask_allows.Override(is_admin)
    with allows.overrides.override(override, use_parent=True):
        allows.additional.push(flask_allows.Additional(is_logged_in))
        seen = flask_allows.allows.fulfill([is_admin, Has("view_hidden_post")])
        allows.additional.pop()
    return "previewed" if seen else "not for you"


def create_app():
    app = Flask(__name__)
    app.secret_key = "of this small application alone"
    allows.init_app(app)
    app.before_request(set_up_request)
    app.register_blueprint(forum)
    app.register_blueprint(admin, url_prefix="/admin")
    app.register_error_handler(NotYourDay, lambda error: (str(error), 418))
    return app
