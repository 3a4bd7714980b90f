namespace Fossil.Models.Chat.Jinja;

/// <summary>What one run of a template has: its variables, its clock, and its bounds, for a template is somebody's file.</summary>
internal sealed class RenderContext(IReadOnlyDictionary<string, object> variables, DateTime now, RenderLimits limits)
{
    private long steps;
    private int depth;

    public DateTime Now => now;

    /// <summary>The template's own scope.</summary>
    public Scope Root { get; } = new(null);

    /// <summary>A variable that no scope has: the caller's, or a global.</summary>
    public object? FindVariable(string name) => variables.GetValueOrDefault(name) ?? Globals.Find(name);

    /// <summary>Counts a piece of work.</summary>
    public void Step()
    {
        if (++steps > limits.Steps) throw new JinjaError(ChatTemplateErrorKind.Limit, $"it takes more than {limits.Steps} steps.");
    }

    /// <summary>Counts the elements that are gone through.</summary>
    public IEnumerable<object> Counted(IEnumerable<object> items)
    {
        foreach (var item in items)
        {
            Step();
            yield return item;
        }
    }

    /// <summary>Refuses an expression that is nested so deep that its evaluation would not fit the thread's stack.</summary>
    public void CheckStack()
    {
        if (!System.Runtime.CompilerServices.RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaError(ChatTemplateErrorKind.Limit, "it is nested too deep.");
    }

    /// <summary>Refuses text of more characters than allowed.</summary>
    public void CheckLength(int length)
    {
        if (length > limits.Characters) throw new JinjaError(ChatTemplateErrorKind.Limit, $"it writes more than {limits.Characters} characters.");
    }

    /// <summary>Runs something one level deeper: a macro, or a recursive loop.</summary>
    public T Nested<T>(Func<T> run)
    {
        if (depth >= limits.Depth) throw new JinjaError(ChatTemplateErrorKind.Limit, $"macros or loops call themselves more than {limits.Depth} levels deep.");
        depth++;
        try
        {
            return run();
        }
        finally
        {
            depth--;
        }
    }
}

/// <summary>How much a template may do.</summary>
/// <param name="Steps">Expressions and statements evaluated, and elements gone through.</param>
/// <param name="Characters">Characters of the result.</param>
/// <param name="Depth">Levels of calls.</param>
internal sealed record RenderLimits(long Steps = 20_000_000, int Characters = 64 << 20, int Depth = 150);

/// <summary>The names that statements have set.</summary>
internal sealed class Scope(Scope? parent)
{
    private Dictionary<string, object>? names;

    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            if (scope.names?.TryGetValue(name, out var value) == true) return value;
        }

        return null;
    }

    public void Set(string name, object value) => (names ??= [])[name] = value;

    private Scope? Outer => parent;
}
