"""FastAPI pages of users in a database, by SQLAlchemy: a repository, a service, and sessions."""

# ruff: noqa: B008, FAST002

from contextlib import contextmanager

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


class Database:
    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)

    def create(self) -> None:
        Base.metadata.create_all(self.engine)

    @contextmanager
    def session(self):
        with self.sessions.begin() as session:
            yield session


class UserRepository:
    def __init__(self, session_factory) -> None:
        self.session_factory = session_factory

    def all(self) -> list[User]:
        with self.session_factory() as session:
            return list(session.scalars(select(User)))

    def add(self, email: str) -> User:
        session: Session
        with self.session_factory() as session:
            user = User(email=email)
            session.add(user)
        return user

    def by_id(self, number: int) -> User:
        with self.session_factory() as session:
            user = session.get(User, number)
        if user is None:
            raise LookupError(number)
        return user


class UserService:
    def __init__(self, repository: UserRepository) -> None:
        self.repository = repository

    def create(self) -> User:
        return self.repository.add(f"{len(self.repository.all())}@example.org")


class Container(containers.DeclarativeContainer):
    wiring_config = containers.WiringConfiguration(modules=[__name__])
    config = providers.Configuration(default={"db": {"url": "sqlite:///users.db"}})
    db = providers.Singleton(Database, url=config.db.url)
    repository = providers.Factory(UserRepository, session_factory=db.provided.session)
    service = providers.Factory(UserService, repository=repository)


router = APIRouter()


@router.get("/users/{number}")
@inject
def get_user(
    number: int, repository: UserRepository = Depends(Provide[Container.repository])
) -> dict[str, object]:
    try:
        user = repository.by_id(number)
    except LookupError:
        raise HTTPException(404) from None
    return {"id": user.id, "email": user.email}


@router.post("/users", status_code=201)
@inject
def create_user(service: UserService = Depends(Provide[Container.service])) -> dict[str, object]:
    user = service.create()
    return {"id": user.id, "email": user.email}


def create_app() -> FastAPI:
    app = FastAPI()
    app.state.container = Container()
    app.include_router(router)
    return app
