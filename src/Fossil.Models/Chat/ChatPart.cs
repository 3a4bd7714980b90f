namespace Fossil.Models.Chat;

/// <summary>What a part of a rendered conversation is.</summary>
public enum ChatPartKind
{
    /// <summary>The template's own text, in which markers are tokens.</summary>
    Markup,

    /// <summary>What somebody but the model said, in which nothing is a marker.</summary>
    Content,

    /// <summary>What the model said: the text that fine-tuning learns.</summary>
    Answer,

    /// <summary>The template's end of what the model said, which the model has to produce too.</summary>
    AnswerEnd,
}

/// <summary>A part of a rendered conversation.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">The text.</param>
public readonly record struct ChatPart(ChatPartKind Kind, string Text);
