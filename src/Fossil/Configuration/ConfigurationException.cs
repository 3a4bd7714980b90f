namespace Fossil;

/// <summary>A configuration has a value that cannot be used.</summary>
public sealed class ConfigurationException : FossilException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="field">The field, by PEFT's name; empty where the whole configuration is meant.</param>
    /// <param name="path">The file it was read from; null where there is none.</param>
    /// <param name="message">What is wrong with the value, and what to do.</param>
    /// <param name="innerException">What the error was found by.</param>
    public ConfigurationException(string field, string? path, string message, Exception? innerException = null)
        : base($"{(path is null ? string.Empty : $"'{path}': ")}{(field.Length == 0 ? string.Empty : $"{field}: ")}{message}", innerException)
    {
        Field = field;
        Path = path;
        Problem = message;
    }

    /// <summary>The field, by PEFT's name, or the setting of an attribute by its own; empty where the whole configuration is meant.</summary>
    public string Field { get; }

    /// <summary>The file it was read from; null where there is none.</summary>
    public string? Path { get; }

    /// <summary>The message without field and file.</summary>
    internal string Problem { get; }
}
