"""A project's budget: how many judgments it may have, those that are under way among them. It is shared by all."""

from kernels.jit import inner

PROJECT = [("budget", "<i8")]  # and `short`: the budget, plus 1, of which was told that it is less than promised

WORDS = "the project's budget is spent, or promised to work under way"


@inner
def is_left(pool, t):
    """May the project of task ``t`` still spend a judgment?"""
    project = pool.projects.records[pool.tasks.records[t].project]
    return project.budget < 0 or project.counted + project.live < project.budget


@inner
def is_limited(pool, t):
    """Has the project of task ``t`` a budget?"""
    return pool.projects.records[pool.tasks.records[t].project].budget >= 0


@inner
def spend(pool, t, amount):
    """Judgments that count have become more or fewer by ``amount``."""
    j = pool.tasks.records[t].project
    pool.projects.records[j].counted += amount
    pool.dirty.projects[j] = 1


@inner
def promise(pool, t, amount):
    """Work under way has become more or less by ``amount``."""
    j = pool.tasks.records[t].project
    pool.projects.records[j].live += amount
    pool.dirty.projects[j] = 1
