"""RLOO and GRPO: the model answers, a reward model gives each answer a number, and better ones become likelier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alpaca_pipe.align.answers_in_parts import answer_in_parts
from alpaca_pipe.align.policy import Beginning, load_policy, save_policy
from alpaca_pipe.align.preference_tune import Listener, trained
from alpaca_pipe.align.trl_trainers import arguments, on_our_ids
from alpaca_pipe.models.loading import device, load_tokenizer
from alpaca_pipe.train.hyperparameters import Hyperparameters

Rewards = Callable[[Sequence[Sequence[int]]], list[float]]  # of sequences of prompt and answer


@dataclass(frozen=True)
class OnlineTune:
    """prompts: name -> token ids that are to be answered. rewards: see Rewards. objective: of TRL's config (beta,
    num_generations, temperature ...). end: the token that ends an answer. loaded: told of the model before it is trained."""

    which: str
    method: str
    begin: Beginning
    use_peft: bool
    prompts: Mapping[str, tuple[int, ...]]
    rewards: Rewards
    hyper: Hyperparameters
    objective: Mapping[str, Any]
    end: int
    scratch: Path
    logs: Path
    model: Path
    loaded: Callable[[Any], object] = lambda model: None


def tune_online(job: OnlineTune, listener: Listener) -> bool:
    """Whether it came to its end; False where `stopping` said so first."""
    from transformers import set_seed

    listener.phase("load")
    set_seed(job.hyper.seed)
    model = load_policy(job.begin, job.use_peft, job.hyper.lora, job.scratch)
    model.to(device())  # type: ignore[arg-type]
    job.loaded(model)
    trainer = online_trainer(job, model)
    listener.phase("train")
    if not trained(trainer, job.which, job.scratch, job.logs, job.hyper, listener):
        return False
    listener.phase("save")
    save_policy(trainer.model, job.begin, job.scratch, job.model)
    return True


def online_trainer(job: OnlineTune, model: Any) -> Any:
    """TRL's, whose prompts are our ids: it knows them by name, and what it decodes is read by nobody."""
    import trl
    from datasets import Dataset

    online = job.method == "rloo"
    kind: Any = on_our_ids(trl.RLOOTrainer if online else trl.GRPOTrainer)
    config = trl.RLOOConfig if online else trl.GRPOConfig
    prompts = job.prompts

    class OnOurPrompts(kind):  # type: ignore[misc]
        def _tokenize_prompts(
            self, named: list[str]
        ) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [list(prompts[name]) for name in named], None, {}

    def reward(
        prompts: Sequence[str], completion_ids: Sequence[Sequence[int]], **rest: Any
    ) -> list[float]:
        asked = [job.prompts[name] for name in prompts]
        both = zip(asked, completion_ids, strict=True)
        return job.rewards([[*prompt, *answer] for prompt, answer in both])

    tokenizer = load_tokenizer(job.begin.checkpoint)
    args = arguments(
        config,
        job.hyper,
        job.scratch,
        job.hyper.per_device_train_batch_size,
        **job.objective,
    )
    trainer = OnOurPrompts(
        model=model,
        reward_funcs=[reward],
        args=args,
        train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
        processing_class=tokenizer,
    )
    if trainer.ref_model is not None:  # TRL loads it by the base's name: not what train left
        trainer.ref_model.load_state_dict(trainer.model.state_dict())
    longest = max(map(len, prompts.values())) + job.objective["max_completion_length"]
    for one in filter(None, (trainer.model, trainer.ref_model)):
        answer_in_parts(one, longest, job.objective["temperature"])
    trainer.eos_token_ids = sorted({*trainer.eos_token_ids, job.end})
    trainer.generation_config.eos_token_id = trainer.eos_token_ids
    return trainer
