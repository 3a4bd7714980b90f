namespace Fossil.Models.Chat.Jinja;

/// <summary>What a value is assigned to.</summary>
internal abstract record AssignmentTarget(int Offset)
{
    public abstract void Assign(object value, Scope scope, Renderer renderer);

    /// <summary>The names that are set.</summary>
    public virtual IEnumerable<string> Names => [];
}

internal sealed record NameTarget(int Offset, string Name) : AssignmentTarget(Offset)
{
    public override IEnumerable<string> Names => [Name];

    public override void Assign(object value, Scope scope, Renderer renderer) => scope.Set(Name, value);
}

/// <summary><c>ns.name</c></summary>
internal sealed record NamespaceTarget(int Offset, string Namespace, string Attribute) : AssignmentTarget(Offset)
{
    public override void Assign(object value, Scope scope, Renderer renderer)
    {
        if ((scope.Find(Namespace) ?? renderer.Context.FindVariable(Namespace)) is not Namespace space) throw JinjaError.Runtime($"'{Namespace}' is no namespace, so its attribute '{Attribute}' cannot be set.");
        Globals.CheckName(new MarkedText(Attribute));
        space.Attributes[Attribute] = value;
    }
}

internal sealed record TupleTarget(int Offset, IReadOnlyList<AssignmentTarget> Parts) : AssignmentTarget(Offset)
{
    public override IEnumerable<string> Names => Parts.SelectMany(part => part.Names);

    public override void Assign(object value, Scope scope, Renderer renderer)
    {
        var items = renderer.Context.Counted(Python.Iterate(value, "value to take apart")).Take(Parts.Count + 1).ToList();
        if (items.Count != Parts.Count) throw JinjaError.Value(items.Count < Parts.Count ? $"there are {items.Count} values for {Parts.Count} names." : $"there are more than {Parts.Count} values for {Parts.Count} names.");
        for (var i = 0; i < items.Count; i++) Parts[i].Assign(items[i], scope, renderer);
    }
}
