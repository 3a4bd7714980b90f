namespace Fossil.Models.Chat.Jinja;

/// <summary>An expression of a template.</summary>
/// <param name="Offset">Where it stands.</param>
internal abstract record Expression(int Offset)
{
    /// <summary>Its value.</summary>
    public object Evaluate(Scope scope, Renderer renderer)
    {
        try
        {
            renderer.Context.Step();
            renderer.Context.CheckStack();
            return Value(scope, renderer);
        }
        catch (JinjaError error)
        {
            throw renderer.Located(error, Offset);
        }
    }

    protected abstract object Value(Scope scope, Renderer renderer);
}

internal sealed record Constant(int Offset, object Is) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Is;
}

internal sealed record NameExpression(int Offset, string Name) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => scope.Find(Name) ?? renderer.Context.FindVariable(Name) ?? Undefined.Variable(Name);
}

internal sealed record ListExpression(int Offset, IReadOnlyList<Expression> Items, bool IsTuple) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        object[] items = [.. Items.Select(item => item.Evaluate(scope, renderer))];
        return IsTuple ? new PythonTuple(items) : new PythonList(items);
    }
}

internal sealed record DictExpression(int Offset, IReadOnlyList<(Expression Key, Expression Value)> Entries) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var dict = new PythonDict();
        foreach (var (key, value) in Entries) dict.Set(key.Evaluate(scope, renderer), value.Evaluate(scope, renderer));
        return dict;
    }
}

internal sealed record UnaryExpression(int Offset, string Operation, Expression Operand) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var value = Operand.Evaluate(scope, renderer);
        return Operation switch { "not" => !Python.IsTrue(value), "-" => Arithmetic.Negate(value), _ => Arithmetic.Plus(value) };
    }
}

internal sealed record BinaryExpression(int Offset, string Operation, Expression Left, Expression Right) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var left = Left.Evaluate(scope, renderer);
        if (Operation is "and" or "or") return Python.IsTrue(left) == (Operation == "and") ? Right.Evaluate(scope, renderer) : left;
        return Arithmetic.Compute(Operation, left, Right.Evaluate(scope, renderer));
    }
}

/// <summary><c>a ~ b</c>: the strings of both.</summary>
internal sealed record ConcatExpression(int Offset, IReadOnlyList<Expression> Parts) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var result = new MarkedTextBuilder();
        foreach (var part in Parts)
        {
            result.Append(Python.Str(part.Evaluate(scope, renderer)));
            renderer.Context.CheckLength(result.Length);
        }

        return result.ToText();
    }
}

/// <summary><c>a &lt; b &lt;= c</c>: a comparison with the next begins where the one before ended.</summary>
internal sealed record CompareExpression(int Offset, Expression First, IReadOnlyList<(string Operation, Expression Operand)> Rest) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var left = First.Evaluate(scope, renderer);
        foreach (var (operation, operand) in Rest)
        {
            var right = operand.Evaluate(scope, renderer);
            if (!Operators.Compare(operation, left, right)) return false;
            left = right;
        }

        return true;
    }
}

internal sealed record ConditionalExpression(int Offset, Expression Then, Expression Test, Expression? Else) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) =>
        Python.IsTrue(Test.Evaluate(scope, renderer)) ? Then.Evaluate(scope, renderer)
        : Else?.Evaluate(scope, renderer) ?? new Undefined("the inline if-expression was false and has no else.");
}

internal sealed record AttributeExpression(int Offset, Expression Owner, string Name) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Attributes.GetAttribute(Owner.Evaluate(scope, renderer), Name);
}

internal sealed record ElementExpression(int Offset, Expression Owner, Expression Key) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Attributes.GetElement(Owner.Evaluate(scope, renderer), Key.Evaluate(scope, renderer));
}

internal sealed record SliceExpression(int Offset, Expression Owner, Expression? Start, Expression? Stop, Expression? Step) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer)
    {
        var owner = Owner.Evaluate(scope, renderer);
        object Bound(Expression? bound) => bound?.Evaluate(scope, renderer) ?? None.Value;
        return Attributes.Slice(owner, Bound(Start), Bound(Stop), Bound(Step));
    }
}

/// <summary>The arguments in a call's parentheses.</summary>
internal sealed record ArgumentList(IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named, Expression? Star, Expression? DoubleStar)
{
    public static readonly ArgumentList None = new([], [], null, null);

    public CallArguments Evaluate(Scope scope, Renderer renderer, params ReadOnlySpan<object> first)
    {
        List<object> positional = [.. first];
        foreach (var argument in Positional) positional.Add(argument.Evaluate(scope, renderer));
        var named = new Dictionary<string, object>(StringComparer.Ordinal);
        if (Star is not null) positional.AddRange(renderer.Context.Counted(Python.Iterate(Star.Evaluate(scope, renderer), "argument after '*'")));
        foreach (var (name, value) in Named) Add(name, value.Evaluate(scope, renderer));
        if (DoubleStar is not null)
        {
            var dict = DoubleStar.Evaluate(scope, renderer) as PythonDict ?? throw JinjaError.Type("the argument after '**' must be a dict.");
            foreach (var (key, value) in dict) Add(key is MarkedText name ? name.Value : throw JinjaError.Type("names of arguments must be strings."), value);
        }

        return new CallArguments(positional, named, renderer.Context);

        void Add(string name, object value)
        {
            if (!named.TryAdd(name, value)) throw JinjaError.Type($"the argument '{name}' is given twice.");
        }
    }
}

internal sealed record CallExpression(int Offset, Expression Function, ArgumentList Arguments) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Call(scope, renderer, caller: null);

    /// <summary>The call, with a <c>caller</c> where it heads a <c>call</c> block.</summary>
    public object Call(Scope scope, Renderer renderer, Macro? caller)
    {
        var function = Function.Evaluate(scope, renderer);
        var arguments = Arguments.Evaluate(scope, renderer);
        if (caller is not null) arguments = arguments with { Named = new Dictionary<string, object>(arguments.Named) { ["caller"] = caller } };
        return function switch
        {
            Macro macro => macro.Call(arguments),
            PythonFunction callable => callable.Call(arguments),
            LoopContext loop => loop.Call(arguments),
            Undefined missing => throw missing.Error(),
            _ => throw JinjaError.Type($"a {Python.TypeName(function)} cannot be called."),
        };
    }
}

internal sealed record FilterExpression(int Offset, Expression? Input, string Name, ArgumentList Arguments) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Apply(Input!.Evaluate(scope, renderer), scope, renderer);

    /// <summary>The filter on a value that is no expression: that of a block. <see cref="Input"/> is then the filter before it, or null.</summary>
    public object ApplyTo(MarkedText block, Scope scope, Renderer renderer)
    {
        try
        {
            return Apply(Input is FilterExpression before ? before.ApplyTo(block, scope, renderer) : block, scope, renderer);
        }
        catch (JinjaError error)
        {
            throw renderer.Located(error, Offset);
        }
    }

    private object Apply(object input, Scope scope, Renderer renderer) => Filters.Run(Name, Arguments.Evaluate(scope, renderer, input));
}

internal sealed record TestExpression(int Offset, Expression Input, string Name, ArgumentList Arguments) : Expression(Offset)
{
    protected override object Value(Scope scope, Renderer renderer) => Tests.Run(Name, Input.Evaluate(scope, renderer), Arguments.Evaluate(scope, renderer));
}
