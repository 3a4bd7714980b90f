namespace Fossil.Models.Chat.Jinja;

/// <summary>A macro as it is written, or the body of a <c>call</c> block.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Parameters">The parameters; the last may have values that they have where none is given.</param>
/// <param name="Body">What it writes.</param>
/// <param name="Special">Which of <c>caller</c>, <c>kwargs</c> and <c>varargs</c> the body asks for.</param>
internal sealed record MacroDefinition(string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, Block Body, IReadOnlySet<string> Special);

/// <summary>A macro with the names around it.</summary>
internal sealed class Macro(MacroDefinition definition, Scope closure, Renderer renderer)
{
    private const string Caller = "caller", Rest = "varargs", Names = "kwargs";

    public string Name => definition.Name;

    public object? Find(string name) => name switch
    {
        "name" => new MarkedText(Name),
        "arguments" => new PythonTuple([.. definition.Parameters.Select(parameter => new MarkedText(parameter.Name))]),
        "catch_kwargs" => definition.Special.Contains(Names),
        "catch_varargs" => definition.Special.Contains(Rest),
        Caller => definition.Special.Contains(Caller),
        _ => null,
    };

    /// <summary>What the macro writes with these arguments.</summary>
    public object Call(CallArguments arguments) => renderer.Context.Nested(() =>
    {
        var scope = new Scope(closure);
        var named = new Dictionary<string, object>(arguments.Named);
        var parameters = definition.Parameters;
        var given = new object?[parameters.Count];
        for (var i = 0; i < parameters.Count; i++)
        {
            if (i < arguments.Positional.Count) given[i] = arguments.Positional[i];
            else if (named.Remove(parameters[i].Name, out var value)) given[i] = value;
        }

        if (definition.Special.Contains(Caller) && parameters.All(parameter => parameter.Name != Caller))
            scope.Set(Caller, named.Remove(Caller, out var caller) ? caller : new Undefined("there is no caller: the macro was not called by a 'call' block."));
        if (definition.Special.Contains(Names)) scope.Set(Names, named.Aggregate(new PythonDict(), (dict, entry) =>
        {
            dict[entry.Key] = entry.Value;
            return dict;
        }));
        else if (named.Keys.FirstOrDefault() is { } unknown) throw JinjaError.Type($"the macro '{Name}' has no parameter '{unknown}', or was given it twice.");
        if (definition.Special.Contains(Rest)) scope.Set(Rest, new PythonTuple([.. arguments.Positional.Skip(parameters.Count)]));
        else if (arguments.Positional.Count > parameters.Count) throw JinjaError.Type($"the macro '{Name}' takes {parameters.Count} arguments, but {arguments.Positional.Count} were given.");

        for (var i = 0; i < parameters.Count; i++)
        {
            var (name, absent) = parameters[i];
            scope.Set(name, given[i] ?? absent?.Evaluate(scope, renderer) ?? new Undefined($"the argument '{name}' of the macro '{Name}' was not given."));
        }

        return (object)definition.Body.Capture(scope, renderer);
    });
}
