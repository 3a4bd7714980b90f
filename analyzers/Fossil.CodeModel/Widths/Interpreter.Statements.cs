using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Operations;

namespace Fossil.CodeModel.Widths;

/// <content>Statements: each changes <see cref="state"/>, or makes it null where control does not come out at its end.</content>
internal sealed partial class Interpreter
{
    private const int MaxIterations = 512;
    private const int MaxWidenings = 6;

    private void Execute(IOperation statement)
    {
        if (state is null || !Step()) return;
        if (++nesting <= MaxNesting) ExecuteStatement(statement);
        else IsExhausted = true;
        nesting--;
    }

    private void ExecuteStatement(IOperation statement)
    {
        switch (statement)
        {
            case IBlockOperation block:
                ExecuteAll(block.Operations);
                break;
            case IVariableDeclarationGroupOperation group:
                foreach (var declaration in group.Declarations) Declare(declaration);
                break;
            case IExpressionStatementOperation expression:
                Evaluate(expression.Operation);
                break;
            case IConditionalOperation conditional:
                Branch(conditional.Condition, () => Execute(conditional.WhenTrue), () => { if (conditional.WhenFalse is { } otherwise) Execute(otherwise); });
                break;
            case IForLoopOperation loop:
                foreach (var before in loop.Before) Execute(before);
                Loop(loop, () => loop.Condition is { } condition ? Evaluate(condition) : Known(true), () => Execute(loop.Body), () => { foreach (var step in loop.AtLoopBottom) Execute(step); });
                break;
            case IWhileLoopOperation { ConditionIsTop: true, Condition: { } condition } loop:
                Loop(loop, () => Is(Evaluate(condition), !loop.ConditionIsUntil), () => Execute(loop.Body), () => { });
                break;
            case IWhileLoopOperation loop:
                var isFirst = true;
                Loop(
                    loop,
                    () =>
                    {
                        if (isFirst) { isFirst = false; return Known(true); }
                        return loop.Condition is { } condition ? Evaluate(condition) : Known(true);
                    },
                    () => Execute(loop.Body),
                    () => { });
                break;
            case IForEachLoopOperation loop:
                ForEach(loop);
                break;
            case IReturnOperation { Kind: OperationKind.YieldReturn, ReturnedValue: { } yielded }:
                var item = Evaluate(yielded);
                frame.Yields?.Add(item);
                break;
            case IReturnOperation returned:
                var value = returned.ReturnedValue is { } result ? Evaluate(result) : Known(null);
                if (state is not null && returned.Kind != OperationKind.YieldBreak) frame.Returns.Add((state, value.KnownBy(frame.Control)));
                else if (state is not null) frame.Returns.Add((state, Known(null)));
                state = null;
                break;
            case IThrowOperation thrown:
                if (thrown.Exception is { } exception) Evaluate(exception);
                state = null;
                break;
            case IBranchOperation branch:
                ExecuteBranch(branch);
                break;
            case ISwitchOperation choice:
                ExecuteSwitch(choice);
                break;
            case ITryOperation attempt:
                ExecuteTry(attempt);
                break;
            case IUsingOperation used:
                Execute(used.Resources);
                Execute(used.Body);
                break;
            case IUsingDeclarationOperation used:
                Execute(used.DeclarationGroup);
                break;
            case ILockOperation locked:
                Evaluate(locked.LockedValue);
                Execute(locked.Body);
                break;
            case ILabeledOperation labeled:
                if (labeled.Operation is { } target) Execute(target);
                break;
            case ILocalFunctionOperation local:
                RunUncalled(local.Symbol, local);
                break;
            case IEmptyOperation:
                break;
            case IMethodBodyBaseOperation or ISymbolInitializerOperation or IAttributeOperation:
                if (statement is not IAttributeOperation) ExecuteBody(statement);
                break;
            default:
                Evaluate(statement);
                break;
        }
    }

    /// <summary>Statements one after the other; a <c>goto</c> from before a label comes in there.</summary>
    private void ExecuteAll(IEnumerable<IOperation> statements)
    {
        foreach (var inner in statements)
        {
            if (inner is ILabeledOperation { Label: { } label } && frame.Jumps.TryGetValue(label, out var jumped))
            {
                frame.Jumps.Remove(label);
                state = State.Join(state, jumped);
            }
            Execute(inner);
        }
    }

    private void Declare(IVariableDeclarationOperation declaration)
    {
        foreach (var declarator in declaration.Declarators)
        {
            var initializer = declarator.Initializer ?? declaration.Initializer;
            var isReference = declarator.Symbol.RefKind != RefKind.None;
            var value = initializer is null ? NotFollowed : isReference ? PlaceOf(initializer.Value) : Evaluate(initializer.Value);
            if (declarator.Symbol.Type is IPointerTypeSymbol && initializer is not null)
            {
                foreach (var pinned in initializer.Value.DescendantsAndSelf().Where(inner => inner.Type is IArrayTypeSymbol)) ForgetElements(Evaluate(pinned));
            }
            if (state is not null) SetVariable(frame, declarator.Symbol, isReference ? value : CopyOfStruct(value));
        }
    }

    /// <summary>Runs one side where the condition is known, and otherwise both, each from the same state.</summary>
    private void Branch(IOperation condition, Action whenTrue, Action whenFalse)
    {
        var value = Evaluate(condition);
        if (state is null) return;
        if (value is Constant { Content: bool known })
        {
            Under(value.From, known ? whenTrue : whenFalse);
            return;
        }
        Charge(state.Heap.Count + state.Variables.Count);
        var before = state;
        state = before.Copy();
        whenTrue();
        var afterTrue = state;
        state = before.Copy();
        whenFalse();
        state = State.Join(afterTrue, state);
    }

    private void Under(Provenance condition, Action run)
    {
        var before = frame.Control;
        // What this frame alone decides, it decides in each call.
        if (condition.Depth < frame.Depth) frame.Control = before.And(condition);
        run();
        frame.Control = before;
    }

    private Value Is(Value value, bool expected) => expected || value is not Constant { Content: bool content } ? value : new Constant(!content, value.From);

    private void Loop(ILoopOperation loop, Func<Value> condition, Action body, Action bottom)
    {
        var target = new BranchTarget(loop.ExitLabel, loop.ContinueLabel);
        frame.BranchTargets.Add(target);
        State? exits = null;
        for (var iteration = 0; state is not null && !IsExhausted; iteration++)
        {
            var value = condition();
            if (state is null) break;
            if (value is Constant { Content: false }) { exits = state; state = null; break; }
            if (value is not Constant { Content: true } || iteration >= MaxIterations)
            {
                exits = State.Join(exits, LoopUntilStable(target, condition, body, bottom));
                state = null;
                break;
            }
            if (value.From.Depth < frame.Depth) Under(value.From, () => Iterate(target, body, bottom));
            else Iterate(target, body, bottom);
        }
        frame.BranchTargets.Remove(target);
        state = State.Join(exits, target.AtBreak);
    }

    private void Iterate(BranchTarget target, Action body, Action bottom)
    {
        body();
        state = State.Join(state, target.AtContinue);
        target.AtContinue = null;
        if (state is not null) bottom();
    }

    /// <summary>Runs an iteration until nothing changes that was not unknown already; the first is one that can happen as it is.</summary>
    private State? LoopUntilStable(BranchTarget target, Func<Value> condition, Action body, Action bottom)
    {
        var before = state!;
        for (var round = 0; round < MaxWidenings && !IsExhausted; round++)
        {
            Charge(before.Heap.Count + before.Variables.Count);
            state = before.Copy();
            Iterate(target, body, bottom);
            if (state is not null) condition();
            if (state is null) return before;
            before = State.Widen(before, state, out var changed);
            if (!changed) return before;
        }
        IsExhausted = true;
        return null;
    }

    private void ForEach(IForEachLoopOperation loop)
    {
        var collection = Evaluate(loop.Collection);
        if (state is null) return;
        var items = ObjectOf(collection) is { IsSequence: true } sequence && !IsTable(sequence) ? sequence : null;
        if (items is { HasExactItems: true } && items.Items.Length <= MaxIterations)
        {
            var index = 0;
            var isReference = IsReference(loop);
            Loop(
                loop,
                () => new Constant(index < items.Items.Length, collection.From),
                () =>
                {
                    AssignLoopVariable(loop, isReference ? new Place(((Reference)collection).Id, null, index, Here) : Through(collection, items.Items[index]));
                    index++;
                    Execute(loop.Body);
                },
                () => { });
            return;
        }
        if (IsReference(loop)) ForgetElements(collection);
        var element = items is { HasEscaped: false, Items.Length: > 0 } ? Value.OneOf(items.Items) : NotFollowed;
        Loop(loop, () => NotFollowed, () => { AssignLoopVariable(loop, element); Execute(loop.Body); }, () => { });
    }

    /// <summary>Whether the loop's variable stands for the element itself: <c>foreach (ref var x in span)</c>.</summary>
    private static bool IsReference(IForEachLoopOperation loop) => loop.LoopControlVariable is IVariableDeclaratorOperation { Symbol.RefKind: not RefKind.None };

    private void AssignLoopVariable(IForEachLoopOperation loop, Value element)
    {
        switch (loop.LoopControlVariable)
        {
            case IVariableDeclaratorOperation declarator:
                SetVariable(frame, declarator.Symbol, element);
                break;
            case { } target:
                Assign(target, element);
                break;
        }
    }

    private void ExecuteBranch(IBranchOperation branch)
    {
        for (var index = frame.BranchTargets.Count - 1; index >= 0 && state is not null; index--)
        {
            var target = frame.BranchTargets[index];
            if (branch.BranchKind == BranchKind.Break && Same(target.BreakLabel, branch.Target)) target.AtBreak = State.Join(target.AtBreak, state);
            else if (branch.BranchKind == BranchKind.Continue && Same(target.ContinueLabel, branch.Target)) target.AtContinue = State.Join(target.AtContinue, state);
            else continue;
            state = null;
            return;
        }
        if (state is null) return;
        // A goto: to a label or case that comes later it takes the state along; what a loop of jumps does is not followed.
        var isAhead = branch.Target.DeclaringSyntaxReferences is [var label, ..] && (label.Span.Start > branch.Syntax.SpanStart || label.GetSyntax(cancellationToken) is SwitchLabelSyntax);
        if (branch.BranchKind == BranchKind.GoTo && isAhead) frame.Jumps[branch.Target] = State.Join(frame.Jumps.TryGetValue(branch.Target, out var others) ? others : null, state)!;
        else IsExhausted = true;
        state = null;
    }

    private void ExecuteSwitch(ISwitchOperation choice)
    {
        var value = Evaluate(choice.Value);
        var target = new BranchTarget(choice.ExitLabel, null);
        frame.BranchTargets.Add(target);
        State? after = null;
        var isDecided = false;
        foreach (var section in choice.Cases)
        {
            if (state is null || isDecided) break;
            var matches = Any(section.Clauses.Where(clause => clause.CaseKind != CaseKind.Default), clause => Matches(clause, value));
            if (matches == false) continue;
            var before = state;
            state = before.Copy();
            if (matches == true) isDecided = true;
            Under(matches == true ? value.From : Provenance.Independent, () => ExecuteAll(section.Body));
            after = State.Join(after, state);
            state = before;
        }
        if (!isDecided && state is not null)
        {
            if (choice.Cases.FirstOrDefault(section => section.Clauses.Any(clause => clause.CaseKind == CaseKind.Default)) is { } fallback)
            {
                Under(value is Constant ? value.From : Provenance.Independent, () => ExecuteAll(fallback.Body));
            }
            after = State.Join(after, state);
        }
        for (var round = 0; JumpedTo(choice) is { } section; round++)
        {
            if (round > choice.Cases.Length) IsExhausted = true;
            ExecuteAll(section.Body);
            after = State.Join(after, state);
        }
        frame.BranchTargets.Remove(target);
        state = State.Join(after, target.AtBreak);
    }

    /// <summary>A section that <c>goto case</c> goes to, with the state that it brings; null where none is left.</summary>
    private ISwitchCaseOperation? JumpedTo(ISwitchOperation choice)
    {
        foreach (var section in choice.Cases)
        {
            foreach (var clause in section.Clauses)
            {
                if (IsExhausted || clause.Label is not { } label || !frame.Jumps.TryGetValue(label, out var jumped)) continue;
                frame.Jumps.Remove(label);
                state = jumped;
                return section;
            }
        }
        return null;
    }

    private bool? Matches(ICaseClauseOperation clause, Value value) => clause switch
    {
        ISingleValueCaseClauseOperation single => AreEqual(value, Evaluate(single.Value)),
        IPatternCaseClauseOperation pattern when pattern.Guard is null => MatchesPattern(pattern.Pattern, value),
        IPatternCaseClauseOperation pattern => MatchesPattern(pattern.Pattern, value) == false ? false : null,
        _ => null,
    };

    /// <summary>Three-valued or.</summary>
    private static bool? Any<T>(IEnumerable<T> items, Func<T, bool?> test)
    {
        bool? result = false;
        foreach (var item in items)
        {
            var one = test(item);
            if (one == true) return true;
            if (one is null) result = null;
        }
        return result;
    }

    private void ExecuteTry(ITryOperation attempt)
    {
        var before = state!.Copy();
        var returned = frame.Returns.Count;
        var within = before;
        foreach (var inner in attempt.Body.Operations)
        {
            Execute(inner);
            if (state is not null) within = State.Widen(within, state, out _);
        }
        foreach (var (exit, _) in frame.Returns.Skip(returned)) within = State.Widen(within, exit, out _);
        var after = state;
        foreach (var handler in attempt.Catches)
        {
            // The exception may come at any point of the body.
            state = within.Copy();
            if (handler.ExceptionDeclarationOrExpression is IVariableDeclaratorOperation caught) SetVariable(frame, caught.Symbol, NotFollowed);
            Execute(handler.Handler);
            after = State.Join(after, state);
        }
        state = after;
        if (attempt.Finally is { } always)
        {
            if (state is null) { state = within; Execute(always); state = null; }
            else Execute(always);
        }
    }
}
