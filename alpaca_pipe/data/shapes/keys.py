"""What the name of a key means, in any case, spelling and in a dozen languages; a name that is not known means nothing."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

from alpaca_pipe.core.lazy_regex import lazy_regex

Meaning = Literal[
    "instruction",
    "input",
    "output",
    "system",
    "history",
    "messages",
    "chosen",
    "rejected",
    "winner",
    "choices",
    "label",
    "weight",
    "status",
    "reasoning",
    "tools",
    "media",
    "text",
    "instances",
    "meta",
    "",
]

# Of two names with one meaning the earlier one is taken. Accents and case do not matter; blanks, - and . are _.
_NAMES: dict[Meaning, str] = {
    "instruction": """
        instruction instructions prompt question query problem request user_prompt user_message user_input user_query
        human_input input_prompt prompt_text question_text text_input inputs input_text inputs_pretokenized question_stem
        stem q human_message
        指令 指示 问题 問題 提问 提问内容 题目 用户 问 提示 提示词 任务 质问 質問 命令 プロンプト 設問 지시 지시문 지시사항 명령 명령어 질문 문제
        프롬프트 anweisung frage aufgabe aufforderung consigne demande instruccion pregunta consulta instrucao pergunta
        istruzione domanda инструкция вопрос запрос задание سؤال السؤال تعليمات التعليمات cau_hoi huong_dan प्रश्न निर्देश
        soru talimat pertanyaan instruksi pytanie polecenie vraag opdracht fraga คำถาม คำสั่ง""",
    "input": """
        input context contexts article passage document documents background paragraph source_text evidence
        facts support story abstract transcript source_document body selftext snippet premise sentence sentences
        review email ticket post schema table background_text additional_context supporting_text ctx ctxs doc docs passages material materials hint hints
        articles
        输入 上下文 背景 文章 材料 原文 段落 参考 入力 文脈 背景情報 コンテキスト 記事 입력 맥락 문맥 지문 eingabe kontext entree contexte
        entrada contexto contesto testo ввод контекст сведения سياق السياق المدخل ngu_canh dau_vao संदर्भ इनपुट baglam girdi
        konteks masukan kontekst invoer sammanhang บริบท""",
    "output": """
        output response answer completion solution target reply outputs targets answers responses completions generation generated_solution
        solutions
        assistant_response model_output model_response bot_response gpt_response chatgpt generations final_answer
        long_answer expected_output expected_answer reference_answer correct_answer best_answer gold gold_answer
        ground_truth targets_pretokenized ideal highlights summary tl_dr tldr
        assistant_message ai_response
        输出 回答 答案 回复 答 解答 答复 助手 出力 応答 答え 返答 解説 출력 답변 응답 대답 정답 답 ausgabe antwort losung reponse sortie
        respuesta salida resposta saida risposta ответ вывод решение إجابة الإجابة جواب الجواب cau_tra_loi tra_loi dau_ra उत्तर
        cevap yanit jawaban keluaran odpowiedz antwoord svar คำตอบ""",
    "system": """
        system system_prompt system_message system_instruction system_instructions sys sys_prompt systemprompt persona
        preamble meta_instruction meta_prompt role_prompt character_description
        系统 系統 系统提示 系统提示词 システム システムプロンプト 시스템 시스템_프롬프트 systemanweisung sistema systeme система""",
    "history": """
        history chat_history dialog_history dialogue_history conversation_history message_history previous_messages
        previous_turns previous_conversation past_messages prior_turns prior_messages context_messages earlier_turns
        dialogue_context dialog_context conversation_context chat_context
        历史 历史对话 对话历史 履歴 会話履歴 대화_기록 대화기록 verlauf historique historial""",
    "messages": """
        messages conversations conversation dialog dialogue dialogs dialogues turns contents chat chat_messages chats
        utterances thread items message_list conv chatml exchanges
        mensajes mensagens nachrichten messaggi wiadomosci сообщения 消息 メッセージ 메시지
        对话 会话 多轮对话 会話 対話 대화 gesprach dialogo диалог""",
    "chosen": """
        chosen preferred preferred_output winning_response accepted_response better better_response positive pos
        corrected corrected_output corrected_response revised_response improved_response preferred_response
        chosen_response response_chosen chosen_messages good_response y_w yw response_w""",
    "rejected": """
        rejected non_preferred_output dispreferred rejected_output losing_response worse worse_response negative neg
        rejected_response response_rejected rejected_messages bad_response y_l yl response_l""",
    "winner": """
        winner preference best_response best_answer_id better_response_id preferred_id choice preferred_response_id best_response chosen_index
        preference_label""",
    "choices": """
        choices options answer_choices answer_options alternatives candidates endings mc_choices
        option opa opb opc opd ope ending choice_list sol
        选项 选择 選択肢 보기 선택지 optionen auswahl opciones opcoes варианты الخيارات""",
    "label": """
        label labels kto_tag is_desirable desirable 标签 ラベル 라벨""",
    "weight": """weight weights train is_train trainable is_trainable learnable loss_weight loss_mask sample_weight train_on
        training trained compute_loss with_loss use_for_training use_in_training""",
    "status": """
        status tree_state review_status annotation_status record_status approval_status quality_status
        状态 ステータス 상태""",
    "reasoning": """
        reasoning_content reasoning thinking thoughts thought chain_of_thought cot scratchpad inner_thoughts think
        thinking_trajectory thinking_trajectories reasoning_trace reasoning_steps""",
    "tools": "tools functions tool_definitions function_definitions available_tools tool_schemas",
    "media": "image images video videos audio audios image_path image_url pictures picture",
    "text": "text content message 文本 内容 テキスト 본문",
    "instances": """
        instances seed_examples questions_and_answers qas qa_pairs qa examples samples pairs all_instances
        question_answer_pairs""",
    "meta": """
        id ids idx index uuid uid guid key hash name category categories source sources dataset lang language
        languages topic topics domain tag tags type types model models score scores rating ratings url urls link links
        license licence created created_at updated_at date time timestamp length tokens difficulty level kind task_name
        task_type task_id task_source metadata meta info extra annotator annotators author_id version split comment comments
        notes note input_output input_outputs inputs_outputs instruction_with_input incorrect_answers incorrect_answer wrong_answers wrong_answer distractors
        distractor negative_examples created_by rank user_id conversation_id prompt_id finish_reason usage cost temperature seed_task""",
}
# Read where nothing says it better, and then only told where they are not read: people use these names for other things too.
_WEAK: dict[Meaning, str] = {
    "instruction": """user human usr definition task_description task_definition task command ask goal client patient
        customer title subject inquiry""",
    "label": """is_good good is_correct is_accepted accepted is_approved approved thumbs_up upvoted is_chosen is_valid
        is_helpful passed is_positive feedback verdict is_bad is_spam is_safe is_toxic is_harmful is_incorrect
        is_wrong is_hallucination is_hallucinated is_truncated truncated""",
    "weight": """loss learn masked mask ignore skip exclude excluded include included keep no_train no_loss use usable enabled
        is_selected is_impossible unanswerable is_unanswerable""",
    "status": "state discarded discard is_deleted deleted removed is_removed flagged is_hidden hidden",
    "output": """assistant bot gpt chatbot ai agent doctor result a correct generated_text completion_text answer_text
        response_text output_text rewritten_text code sql
        answer_key answerkey answer_letter correct_option correct_choice answer_idx answer_index correct_index""",
}
WEAK = 400  # the rank from which a name is weak
EARLIER = (
    1000  # and the rank of a text before it was worked over: `original_question` beside `question`
)

_MEASURES = frozenset(
    [
        "id",
        "ids",
        "idx",
        "index",
        "type",
        "types",
        "kind",
        "source",
        "model",
        "models",
        "name",
        "names",
        "score",
        "scores",
        "rating",
        "ratings",
        "count",
        "counts",
        "length",
        "len",
        "tokens",
        "lang",
        "language",
        "url",
        "urls",
        "link",
        "date",
        "time",
        "timestamp",
        "start",
        "end",
        "hash",
        "category",
        "version",
        "format",
        "number",
        "num",
        "turns",
        "author",
        "quality",
        "strength",
        "prob",
        "probability",
        "logprob",
        "logprobs",
        "perplexity",
        "rank",
        "path",
        "file",
        "filename",
        "license",
    ]
)
_EARLIER = frozenset(
    [
        "original",
        "orig",
        "raw",
        "old",
        "previous",
        "prev",
        "initial",
        "seed",
        "draft",
        "base",
        "source",
        "unrevised",
        "translated",
    ]
)
_GENERIC = frozenset(
    ["text", "string", "str", "content", "value", "raw", "field", "column", "body"]
)
_WRONG = frozenset(
    ["incorrect", "wrong", "false", "bad", "negative", "worst", "plausible"]
)  # an answer that nobody is to learn
_COUNTS = frozenset(
    ["num", "n", "count", "number", "has", "len", "avg", "mean", "min", "max", "total"]
)
# What a judge was asked and said, which is no part of the row: `labelling_prompt`, `critic_response`.
_JUDGES = frozenset(
    [
        "labelling",
        "labeling",
        "judge",
        "judging",
        "judgement",
        "judgment",
        "evaluation",
        "evaluator",
        "eval",
        "grading",
        "grader",
        "critic",
        "critique",
        "annotation",
        "annotator",
        "verifier",
        "verification",
    ]
)
_AGAINST = frozenset(["non", "not", "dis", "un", "in"])
_VARIANT = lazy_regex(
    r"(?P<stem>.*[^\W\d_])_?(?P<which>\d{1,2})|(?P<stem2>.+)_(?P<letter>[a-e]|j|k)"
)
_CAMEL = lazy_regex(r"(?<=[a-z0-9])(?=[A-Z])")
_SIDES: dict[str, Meaning] = {
    "chosen": "chosen",
    "preferred": "chosen",
    "accepted": "chosen",
    "winning": "chosen",
    "rejected": "rejected",
    "dispreferred": "rejected",
    "losing": "rejected",
}


class Name(NamedTuple):
    """meaning: of the key, "" where it is not known. rank: of two keys with one meaning the lower is taken. plain: the name
    as it is looked up. variant: what tells answer_a from answer_b; "" for most."""

    meaning: Meaning
    rank: int
    plain: str
    variant: str = ""


def plain(key: str) -> str:
    """`systemInstruction`, `System-Instruction` and `SYSTEM INSTRUCTION` are `system_instruction`."""
    spaced = _CAMEL.sub("_", key.strip())
    apart = unicodedata.normalize("NFKD", spaced.casefold())
    kept = (
        sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else "_"
        for sign in apart
        if not "\u0300" <= sign <= "\u036f"
    )
    return "_".join(filter(None, unicodedata.normalize("NFC", "".join(kept)).split("_")))


def _ranked() -> dict[str, tuple[Meaning, int]]:
    ranks: dict[str, tuple[Meaning, int]] = {}
    for start, names in ((0, _NAMES), (WEAK, _WEAK)):
        for meaning, words in names.items():
            for rank, word in enumerate(words.split(), start):
                ranks.setdefault(plain(word), (meaning, rank))
    return ranks


_RANKS = _ranked()


def known_names() -> dict[Meaning, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Meaning -> (its names, the names that are used for other things too), for the manual; each in its order."""
    return {
        meaning: (tuple(words.split()), tuple(_WEAK.get(meaning, "").split()))
        for meaning, words in _NAMES.items()
    }


@lru_cache(4096)
def name_of(key: str) -> Name:
    """What a key means: by its whole name, else by its parts (`customer_question`, `responseChosen`, `answer_2`)."""
    word = plain(key)
    if found := _RANKS.get(word):
        return Name(*found, word)
    parts = word.split("_")
    sides = [_SIDES[part] for part in parts if part in _SIDES]
    measured = parts[-1] in _MEASURES or (sides and parts[0] in _MEASURES)
    if any(part in _WRONG for part in parts) and len(parts) > 1 and not sides:
        return Name("meta", EARLIER, word)
    if parts[0] in _JUDGES and len(parts) > 1:
        return Name("meta", EARLIER, word)
    if parts[0] == "winner" and len(parts) > 1 and not sides:
        return Name("winner", 100, word, parts[-1])
    if parts[0] in _COUNTS or (len(parts) > 1 and measured):
        return Name("meta", EARLIER, word)
    if sides:
        against = any(part in _AGAINST for part in parts)
        return Name("rejected" if against else sides[0], 200, word)
    if cut := _VARIANT.fullmatch(word):
        stem = name_of(cut["stem"] or cut["stem2"])
        if stem.plain == "choice":
            stem = name_of("choices")
        if (
            stem.meaning in ("output", "messages", "choices", "text", "meta")
            and stem.rank < EARLIER
        ):
            return Name(stem.meaning, 200 + stem.rank, word, cut["which"] or cut["letter"])
    return _by_parts(parts, word)


def _by_parts(parts: list[str], word: str) -> Name:
    """The last part says what it is, as in English; a longer ending that is known says more than a shorter one."""
    if len(parts) > 1 and parts[-1] in _GENERIC:
        before = name_of("_".join(parts[:-1]))
        if before.meaning not in ("", "meta"):
            return before._replace(plain=word)
    for start in range(1, len(parts)):
        ending = "_".join(parts[start:])
        meaning, rank = _RANKS.get(ending, ("", 0)) if len(ending) > 1 else ("", 0)
        if meaning == "meta":
            return Name("meta", EARLIER, word)
        if meaning and meaning not in ("winner", "weight", "status", "label"):
            earlier = any(part in _EARLIER for part in parts[:start])
            return Name(meaning, (EARLIER if earlier else 200) + rank, word)
    return Name("", EARLIER, word)
