using Microsoft.CodeAnalysis;

namespace Fossil.CodeModel.Widths;

/// <summary>One call that is being interpreted.</summary>
/// <param name="id">Tells its variables from those of other calls.</param>
/// <param name="depth">The number of calls between it and the analysed body; lambdas and local functions count as part of the body around them.</param>
/// <param name="member">The method, or the field or property whose initialiser runs.</param>
/// <param name="receiver">The value of <c>this</c>.</param>
/// <param name="lexicalParent">The frame whose variables a lambda or local function sees.</param>
internal sealed class Frame(int id, int depth, ISymbol? member, Value? receiver, Frame? lexicalParent)
{
    public int Id { get; } = id;

    public int Depth { get; } = depth;

    public ISymbol? Member { get; } = member;

    public Value? Receiver { get; } = receiver;

    public Frame? LexicalParent { get; } = lexicalParent;

    /// <summary>Each state that leaves the call, with the value that it returns.</summary>
    public List<(State State, Value Value)> Returns { get; } = [];

    /// <summary>The variables that it has set.</summary>
    public HashSet<ISymbol> Variables { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>The type arguments that the call was made with, each with the depth of the call that decided it.</summary>
    public Dictionary<ITypeParameterSymbol, (ITypeSymbol Type, int Depth)> TypeArguments { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>What an iterator has yielded so far; null for every other method.</summary>
    public List<Value>? Yields { get; set; }

    /// <summary>The loops and switches around the current statement, innermost last.</summary>
    public List<BranchTarget> BranchTargets { get; } = [];

    /// <summary>The states at each <c>goto</c> whose label has not come yet.</summary>
    public Dictionary<ILabelSymbol, State> Jumps { get; } = new(SymbolEqualityComparer.Default);

    /// <summary>What the branches taken so far depended on.</summary>
    public Provenance Control { get; set; } = Provenance.Independent;

    /// <summary>The object that an object initialiser or <c>with</c> is filling.</summary>
    public Stack<Value> Initialised { get; } = new();
}

/// <summary>Where <c>break</c> and <c>continue</c> of a loop or switch go.</summary>
internal sealed class BranchTarget(ILabelSymbol? breakLabel, ILabelSymbol? continueLabel)
{
    public ILabelSymbol? BreakLabel { get; } = breakLabel;

    public ILabelSymbol? ContinueLabel { get; } = continueLabel;

    public State? AtBreak { get; set; }

    public State? AtContinue { get; set; }
}
