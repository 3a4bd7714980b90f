namespace Fossil.Models.Chat;

/// <summary>Why a chat template failed.</summary>
public enum ChatTemplateErrorKind
{
    /// <summary>The conversation, the options or the tokenizer do not fit the template's use.</summary>
    Conversation,

    /// <summary>The template is not written in the template language; found before anything is rendered.</summary>
    Syntax,

    /// <summary>The template refused the conversation (<c>raise_exception</c>); the message is the template's.</summary>
    Template,

    /// <summary>Something was done with a value that is not there.</summary>
    Undefined,

    /// <summary>The template touched what the sandbox hides.</summary>
    Security,

    /// <summary>A value has the wrong type.</summary>
    Type,

    /// <summary>A value is out of the range that an operation takes.</summary>
    Value,

    /// <summary>A division by zero.</summary>
    ZeroDivision,

    /// <summary>The template did more, nested deeper or wrote more than is allowed.</summary>
    Limit,

    /// <summary>Another failure while the template ran.</summary>
    Runtime,

    /// <summary>The template uses something that this library does not do.</summary>
    Unsupported,
}
