"""Who speaks: the names that files give to a user, an assistant, a system text and a tool."""

from __future__ import annotations

from collections.abc import Mapping

from alpaca_pipe.core.example import Role
from alpaca_pipe.data.shapes.keys import plain

_SPEAKERS: dict[Role, str] = {
    "user": """user human prompter usr customer client patient student asker questioner seeker person speaker_1 speaker1 q
        question input instruction prompt query inquirer instructor visitor caller me you guest
        用户 人类 问 ユーザー 人間 사용자 人 benutzer mensch usuario utilisateur пользователь المستخدم nguoi_dung""",
    "assistant": """assistant gpt chatgpt bing bard model bot chatbot ai agent claude llama gemini ai_assistant assistent
        gpt4 gpt_4 gpt3 gpt_3_5 system_bot doctor therapist counselor tutor expert operator helper speaker_2 speaker2 a answer
        output response reply completion moss vicuna alpaca language_model llm asst robot support advisor
        助手 机器人 答 アシスタント 어시스턴트 챗봇 asistente ассистент бот المساعد tro_ly""",
    "system": "system developer sys system_prompt systemprompt context_prompt 系统 システム 시스템",
    "tool": """tool function observation ipython tool_response function_response tool_result tool_output environment
        tool_results""",
}
CALLS = frozenset(("function_call", "tool_call", "tool_calls", "functioncall"))
ROLE_KEYS = (
    "role",
    "from",
    "author",
    "sender",
    "speaker",
    "who",
    "user_type",
    "actor",
    "角色",
    "rol",
    "rolle",
    "ruolo",
    "роль",
    "役割",
    "역할",
)
CONTENT_KEYS = (
    "content",
    "value",
    "text",
    "message",
    "utterance",
    "parts",
    "body",
    "msg",
    "said",
    "data",
    "内容",
    "내용",
    "contenido",
    "conteudo",
    "inhalt",
    "contenuto",
    "текст",
)
_ROLES: dict[str, Role] = {
    plain(word): role for role, words in _SPEAKERS.items() for word in words.split()
}


def role_of(spelled: str, own: Mapping[str, str]) -> Role | None:
    """The role of a speaker: as the user says (spelled name -> role), else as the name says; None where it is not known."""
    word = plain(spelled)
    said = own.get(word)
    return said if said in _SPEAKERS else _ROLES.get(word)  # type: ignore[return-value]
