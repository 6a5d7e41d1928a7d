"""Under arbitrary days: at every event what was kept so far gives the desk as it is then."""

from hypothesis import HealthCheck, Phase, settings
from kept_desk import KeptDesk
from test_trading_stateful import TradingMachine


class KeptMachine(TradingMachine):
    """The trading machine with a desk that is kept."""

    desk_class = KeptDesk


TestKeptMachine = KeptMachine.TestCase
TestKeptMachine.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
